-- The number of the tick that was stored last: another connection reads it back, and it tells whether a tick whose commit
-- failed was stored all the same.
create table tick (
    one    integer primary key check (one = 1),
    number integer not null
);
insert into tick (one, number) values (1, 0);
