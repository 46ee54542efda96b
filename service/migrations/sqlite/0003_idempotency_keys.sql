-- What was answered to a request that may come again. Whoever holds the claim carries it out; the answer is written in the
-- transaction that carries it out, so that there is never one without the other.
create table idempotency_keys (
    client text not null,
    key text not null,
    fingerprint text not null,
    claim text not null,
    -- Milliseconds since the Unix epoch.
    claimed_at integer not null,
    answer text,
    primary key (client, key)
) strict, without rowid;

create index idempotency_keys_by_age on idempotency_keys (claimed_at);
