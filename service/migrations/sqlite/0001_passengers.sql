-- Ids are UUID v7 in lower-case text, so that their order is the order of insertion and a page can continue after any id.
create table passengers (
    id text primary key not null,
    name text not null,
    -- The name in lower case, folded by the service: `lower()` of the databases disagree beyond ASCII.
    name_folded text not null,
    class integer not null check (class between 1 and 3),
    sex text not null check (sex in ('female', 'male')),
    age real check (age between 0 and 120),
    siblings_or_spouses_aboard integer not null check (siblings_or_spouses_aboard between 0 and 30),
    parents_or_children_aboard integer not null check (parents_or_children_aboard between 0 and 30),
    survived integer not null check (survived in (0, 1))
) strict, without rowid;
