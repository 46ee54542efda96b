-- Silences: bounded times in which incidents are told to nobody. One that is ended early keeps who did it.
create table silence (
    sequence      integer primary key autoincrement, -- the order in which they were made
    id            text    not null unique,
    matcher       text    not null, -- JSON
    severity      text,             -- none: both
    reason        text    not null,
    actor         text    not null,
    created_at_ms integer not null,
    ends_at_ms    integer not null,
    expired_by    text
);
create index silence_by_end on silence (ends_at_ms);
