-- Who gave a subscription as a present; null: its user paid for it.
alter table subscriptions add column gifted_by uuid references users;
