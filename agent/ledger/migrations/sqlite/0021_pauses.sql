-- Pauses of targets that operators asked for, the last one of each. One that ended is kept for a day.
create table pause (
    target   text primary key,
    from_ms  integer not null,
    until_ms integer not null,
    reason   text not null,
    actor    text not null
);
