-- Several keys per channel, told apart by their labels; an encoder with a standby key waits behind another.
alter table stream_keys add column label text not null default '', add column standby boolean not null default false;
