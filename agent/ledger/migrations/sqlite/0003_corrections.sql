-- Corrections: time that does not count, and why. Entries are facts: none is changed, and taking one back is another fact.

create table correction (
    sequence      integer primary key autoincrement, -- the order in which they were written
    id            text    not null unique,
    scope         text    not null check (scope in ('slo', 'service', 'all')),
    scope_name    text    not null, -- empty for all
    kind          text    not null,
    from_ms       integer not null,
    to_ms         integer,          -- none: until it is revoked
    recurrence    text,             -- none: all of the time in between
    reason        text    not null,
    actor         text    not null,
    created_at_ms integer not null
);

create table correction_revocation (
    sequence      integer primary key autoincrement,
    correction_id text    not null unique references correction (id) on delete cascade,
    at_ms         integer not null,
    actor         text    not null,
    reason        text    not null
);
