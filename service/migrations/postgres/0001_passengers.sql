-- The same table as in SQLite, in the types PostgreSQL has for it. Names and words are compared byte by byte, because
-- the order of a list must not depend on the locale a cluster was made with.
create table passengers (
    id uuid primary key,
    name text collate "C" not null,
    class smallint not null check (class between 1 and 3),
    sex text collate "C" not null check (sex in ('female', 'male')),
    age double precision check (age between 0 and 120),
    fare double precision check (fare between 0 and 10000),
    siblings_or_spouses_aboard smallint not null check (siblings_or_spouses_aboard between 0 and 30),
    parents_or_children_aboard smallint not null check (parents_or_children_aboard between 0 and 30),
    survived boolean not null,
    -- One more with each change: with the moment of the change it makes the entity tag.
    version bigint not null default 1 check (version >= 1),
    updated_at timestamptz not null default '2026-01-01T00:00:00Z',
    -- The name in words as the service folds them; empty where it has yet to be done.
    words text collate "C" not null default ''
);

create index passengers_by_words on passengers (words, id);

-- Which passengers have a word in their name: see the migration for SQLite for why it is not a `tsvector`.
create table passenger_words (
    word text collate "C" not null,
    passenger_id uuid not null references passengers (id) on delete cascade,
    primary key (word, passenger_id)
);

create index passenger_words_by_passenger on passenger_words (passenger_id);

create function passenger_words_of() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from passenger_words where passenger_id = new.id;
    end if;
    insert into passenger_words (word, passenger_id)
    select distinct word, new.id from unnest(string_to_array(new.words, ' ')) as word;
    return null;
end
$$;

create trigger passengers_words_added after insert on passengers
for each row when (new.words <> '') execute function passenger_words_of();

create trigger passengers_words_changed after update of words on passengers
for each row when (new.words <> old.words) execute function passenger_words_of();
