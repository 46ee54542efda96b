-- Voyages and their ports of call. Days are text as `YYYY-MM-DD`, which orders as they do.
create table voyages (
    id text primary key not null,
    ship text not null,
    departed_on text not null
) strict, without rowid;

create table calls (
    id text primary key not null,
    voyage_id text not null references voyages (id) on delete cascade,
    port text not null,
    called_on text not null
) strict, without rowid;

create index calls_by_voyage on calls (voyage_id, called_on, id);

insert into voyages (id, ship, departed_on) values ('019b7000-a800-7000-8000-000000000001', 'Titanic', '1912-04-10');
insert into calls (id, voyage_id, port, called_on) values
    ('019b7000-a800-7000-8000-000000000002', '019b7000-a800-7000-8000-000000000001', 'Southampton', '1912-04-10'),
    ('019b7000-a800-7000-8000-000000000003', '019b7000-a800-7000-8000-000000000001', 'Cherbourg', '1912-04-10'),
    ('019b7000-a800-7000-8000-000000000004', '019b7000-a800-7000-8000-000000000001', 'Queenstown', '1912-04-11');
