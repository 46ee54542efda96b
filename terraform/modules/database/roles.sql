-- Makes the roles of the application, or brings them back to what they should be. Run by the task `roles` as
-- administrator; safe to run again.
\set ON_ERROR_STOP on
\getenv application APPLICATION
\getenv password APPLICATION_PASSWORD
\getenv connections CONNECTION_LIMIT

select format('create role %I nologin', name)
from unnest(array[:'application' || '_owner']) as name
where not exists (select from pg_roles where rolname = name) \gexec

-- the two logins that take turns; rotation sets the password of the one that is not in use
select format('create role %I login password %L', name, :'password')
from unnest(array[:'application', :'application' || '_clone']) as name
where not exists (select from pg_roles where rolname = name) \gexec

select format('grant %I to %I, %I', owner, login, login || '_clone') as grant_logins,
    format('grant %I to current_user', owner) as grant_administrator,
    format('create schema if not exists %I authorization %I', login, owner) as make_schema
from (select :'application' as login, :'application' || '_owner' as owner) as names \gexec

-- whoever logs in acts as the owner, so that both can change what either made
select statement from (
    select unnest(array[
        format('alter role %I nocreatedb nocreaterole connection limit %s', name, :'connections'),
        format('alter role %I set role to %I', name, :'application' || '_owner'),
        format('alter role %I set search_path to %I', name, :'application'),
        format('alter role %I set statement_timeout to %L', name, '30s')
    ]) as statement
    from unnest(array[:'application', :'application' || '_clone']) as name
) as statements \gexec

select format('revoke all on database %I from public', current_database()) as closed,
    format('grant connect on database %I to %I', current_database(), :'application' || '_owner') as opened \gexec
revoke all on schema public from public;
