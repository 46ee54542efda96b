-- The last call of every job. Older ones decide nothing.
create table heartbeat (
    name  text primary key,
    at_ms integer not null
);
