-- The name of this ledger, which its copies share. A start recognises by it that another ledger took the place of its own.
create table identity (id text not null);
insert into identity (id) values (lower(hex(randomblob(16))));

-- Sequence and hash of the last decision that was forgotten: the chain of those that are kept begins after it.
create table decision_anchor (
    sequence integer not null,
    hash     text    not null
);
