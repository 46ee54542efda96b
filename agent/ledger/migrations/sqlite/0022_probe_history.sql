-- History of probes: an hour of a target as a few bytes, and fewer once it is old. Hours are numbered from the epoch and
-- come first in the key, so that rows are appended and the oldest lie together.
create table probe_target (
    id        integer primary key,
    name      text    not null unique,
    last_hour integer not null
);

create table probe_hour (
    hour   integer not null,
    target integer not null references probe_target (id) on delete cascade,
    probes blob    not null,
    primary key (hour, target)
) without rowid;

create table probe_old_hour (
    hour   integer not null,
    target integer not null references probe_target (id) on delete cascade,
    probes blob    not null,
    primary key (hour, target)
) without rowid;
