-- The name of this ledger, which its copies share. A start recognises by it that another ledger took the place of its own.
create table identity (id text not null);
insert into identity (id) values (lower(hex(randomblob(16))));
