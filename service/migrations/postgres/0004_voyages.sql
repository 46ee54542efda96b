-- Voyages and their ports of call: see the migration for SQLite.
create table voyages (
    id uuid primary key,
    ship text collate "C" not null,
    departed_on text collate "C" not null
);

create table calls (
    id uuid primary key,
    voyage_id uuid not null references voyages (id) on delete cascade,
    port text collate "C" not null,
    called_on text collate "C" not null
);

create index calls_by_voyage on calls (voyage_id, called_on, id);

insert into voyages (id, ship, departed_on) values ('019b7000-a800-7000-8000-000000000001', 'Titanic', '1912-04-10');
insert into calls (id, voyage_id, port, called_on) values
    ('019b7000-a800-7000-8000-000000000002', '019b7000-a800-7000-8000-000000000001', 'Southampton', '1912-04-10'),
    ('019b7000-a800-7000-8000-000000000003', '019b7000-a800-7000-8000-000000000001', 'Cherbourg', '1912-04-10'),
    ('019b7000-a800-7000-8000-000000000004', '019b7000-a800-7000-8000-000000000001', 'Queenstown', '1912-04-11');
