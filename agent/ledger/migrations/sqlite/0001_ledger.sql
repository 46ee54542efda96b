-- The ledger: counts, incidents, deliveries, deploys, decisions.
-- Times are integer milliseconds since the Unix epoch (UTC) unless the name ends in _s.

pragma application_id = 1280266059; -- "LOOK": tells a ledger from any other SQLite file

-- Names of SLOs, so that a row of counts carries a number instead of a word.
create table slo (
    id   integer primary key,
    name text not null unique
);

-- Counts at the grid's width, for as long as the fine windows need them.
create table slot (
    slo     integer not null references slo (id),
    start_s integer not null,
    width_s integer not null,
    good    integer not null,
    bad     integer not null,
    primary key (slo, start_s, width_s)
) without rowid;

-- Counts rolled up to minutes, numbered from the epoch.
create table minute (
    slo    integer not null references slo (id),
    minute integer not null,
    good   integer not null,
    bad    integer not null,
    primary key (slo, minute)
) without rowid;

create table incident (
    id             text    primary key,
    slo_id         text    not null,
    service        text    not null,
    slo            text    not null,
    cause          text    not null,
    severity       text    not null,
    peak           text    not null,
    opened_at_ms   integer not null,
    resolved_at_ms integer
);
create index incident_by_age on incident (opened_at_ms);

create table transition (
    id           integer primary key autoincrement,
    incident_id  text    not null references incident (id) on delete cascade,
    change       text    not null,
    at_ms        integer not null,
    notice       text    not null, -- JSON
    destinations text    not null, -- JSON array of names
    unique (incident_id, change, at_ms)
);

create table delivery (
    id            integer primary key autoincrement,
    transition_id integer not null references transition (id) on delete cascade,
    incident_id   text    not null references incident (id) on delete cascade,
    destination   text    not null,
    state         text    not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
    attempts      integer not null default 0,
    due_at_ms     integer not null default 0, -- zero: at once, whatever the clock says
    attempting    integer not null default 0, -- an attempt was begun and has not ended
    unsure        integer not null default 0, -- an earlier attempt may have arrived all the same
    last_error    text,
    ended_at_ms   integer,
    thread        text,
    unique (transition_id, destination)
);
create index delivery_of_incident on delivery (incident_id, destination, id);
create index delivery_waiting on delivery (destination, id) where state = 'waiting';

create table deploy (
    id              text    primary key,
    idempotency_key text    not null unique,
    service         text    not null,
    environment     text    not null,
    version         text    not null,
    commit_id       text    not null,
    actor           text    not null,
    class           text    not null,
    started_at_ms   integer not null
);
create index deploy_by_service on deploy (service, started_at_ms);

-- A hash chain; rows are never changed or removed.
create table decision (
    sequence      integer primary key,
    id            text    not null unique,
    at_ms         integer not null,
    service       text    not null,
    answer        text    not null, -- JSON, as it was given
    previous_hash text    not null,
    hash          text    not null
);
