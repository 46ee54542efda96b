-- What was answered to a request that may come again: see the migration for SQLite.
create table idempotency_keys (
    client text collate "C" not null,
    key text collate "C" not null,
    fingerprint text collate "C" not null,
    claim uuid not null,
    claimed_at timestamptz not null,
    answer text,
    primary key (client, key)
);

create index idempotency_keys_by_age on idempotency_keys (claimed_at);
