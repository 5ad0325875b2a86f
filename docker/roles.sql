-- Who may do what, made once by a superuser in an empty database. Each service logs in as a user of
-- its own, with no more rights than it needs; the passwords come from the environment, since a
-- command line can be read by everyone. The group roles are those that `eventstore migrate` grants
-- to; it makes them itself where its user may create roles.
\set ON_ERROR_STOP on
\getenv migrate_password EVENTSTORE_MIGRATE_PASSWORD
\getenv api_password EVENTSTORE_API_PASSWORD
\getenv worker_password EVENTSTORE_WORKER_PASSWORD

CREATE ROLE eventstore_owner NOLOGIN;
CREATE ROLE eventstore_writer NOLOGIN;
CREATE ROLE eventstore_reader NOLOGIN;
CREATE ROLE eventstore_worker NOLOGIN;
CREATE ROLE eventstore_inline NOLOGIN;
GRANT eventstore_worker TO eventstore_inline;  -- which runs the code that workers put into read tables
GRANT eventstore_inline TO eventstore_owner;  -- whose functions rename and drop read tables

CREATE ROLE eventstore_migrate_login LOGIN PASSWORD :'migrate_password' IN ROLE eventstore_owner;
CREATE ROLE eventstore_api_login LOGIN PASSWORD :'api_password' IN ROLE eventstore_writer;
CREATE ROLE eventstore_worker_login LOGIN PASSWORD :'worker_password' IN ROLE eventstore_worker;

-- For the schemas, which belong to eventstore_owner.
GRANT CREATE ON DATABASE :"DBNAME" TO eventstore_migrate_login;
