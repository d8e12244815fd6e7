-- What a channel's renditions are made for: little delay, or the better picture that half a second more allows.
alter table channels add column profile text not null default 'latency' check (profile in ('latency', 'quality'));
