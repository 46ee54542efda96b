-- Fares in pounds, a version per row for conditional requests, and the names in words for search and order.
-- `words` is made by the service and is empty where it has yet to be: the service fills it in when it starts.
alter table passengers add column fare real check (fare between 0 and 10000);
alter table passengers add column version integer not null default 1 check (version >= 1);
-- Milliseconds since the Unix epoch.
alter table passengers add column updated_at integer not null default 1767225600000;
alter table passengers add column words text not null default '';
alter table passengers drop column name_folded;

create index passengers_by_words on passengers (words, id);

-- Which passengers have a word in their name. A table of our own and not FTS5, because then both databases give the
-- same answer to the same question: they would cut and fold names each in their own way.
create table passenger_words (
    word text not null,
    passenger_id text not null references passengers (id) on delete cascade,
    primary key (word, passenger_id)
) strict, without rowid;

create index passenger_words_by_passenger on passenger_words (passenger_id);

-- Words hold letters and digits only, so that a list of them is JSON once it has quotes and commas.
create trigger passengers_words_added after insert on passengers when new.words <> ''
begin
    insert or ignore into passenger_words (word, passenger_id)
    select value, new.id from json_each('["' || replace(new.words, ' ', '","') || '"]');
end;

create trigger passengers_words_changed after update of words on passengers when new.words <> old.words
begin
    delete from passenger_words where passenger_id = new.id;
    insert or ignore into passenger_words (word, passenger_id)
    select value, new.id from json_each('["' || replace(new.words, ' ', '","') || '"]') where new.words <> '';
end;
