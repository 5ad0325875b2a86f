-- name: doctor_server
-- $1: roles of the store. Which of them the connected user has is told by name.
SELECT current_setting('server_version_num')::integer,
       current_setting('server_version'),
       current_setting('fsync'),
       current_setting('synchronous_commit'),
       current_setting('full_page_writes'),
       current_user::text,
       (SELECT u.rolsuper FROM pg_catalog.pg_roles AS u WHERE u.rolname = current_user),
       ARRAY(SELECT r.rolname::text FROM pg_catalog.pg_roles AS r
              WHERE r.rolname = ANY ($1::text[]) AND pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')
              ORDER BY r.rolname),
       pg_catalog.pg_is_in_recovery();

-- name: doctor_append_lock
SELECT h.append_lock_pid, h.append_lock_user, h.append_lock_application, h.append_lock_state,
       extract(epoch FROM h.append_lock_held)::double precision, h.append_lock_waiters
  FROM eventstore.health AS h;

-- name: doctor_oldest_transaction
-- Of this database. A transaction that stays open keeps dead rows from being cleaned up.
SELECT a.pid, a.usename::text, a.application_name, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::double precision
  FROM pg_catalog.pg_stat_activity AS a
 WHERE a.datname = current_database() AND a.backend_type = 'client backend'
   AND a.xact_start IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
 ORDER BY a.xact_start LIMIT 1;

-- name: doctor_notifications
-- Share of the notification queue that is in use, 0 to 1; full, every NOTIFY fails. Then whether the
-- connected user sees what other users' sessions do.
SELECT pg_catalog.pg_notification_queue_usage(),
       pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');

-- name: doctor_queue_holder
-- Of all databases, for they share the queue. Who listens cannot be seen from another session, but a
-- session hears nothing while its transaction is open.
SELECT a.pid, a.usename::text, a.application_name, a.datname::text, a.state, a.xact_start
  FROM pg_catalog.pg_stat_activity AS a
 WHERE a.backend_type = 'client backend'
   AND a.xact_start IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
 ORDER BY a.xact_start LIMIT 1;

-- name: doctor_prepared
-- The process that works for this transaction, and whether it knows a statement by psycopg's name.
SELECT pg_catalog.pg_backend_pid(),
       EXISTS (SELECT FROM pg_catalog.pg_prepared_statements AS s WHERE starts_with(s.name, '_pg3'));

-- name: doctor_sizes
-- $1: schema. Tables with all that belongs to them, in bytes; rows as last estimated.
SELECT c.relname::text, pg_catalog.pg_total_relation_size(c.oid), greatest(c.reltuples, 0)::bigint
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p')
 ORDER BY 2 DESC;

-- name: doctor_read_tables
-- $1: the schema of read tables. Read tables that are not tables: a view runs what it names with the
-- rights of the user who reads it.
SELECT format('%s is %s', t.name, CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'
                                                 WHEN 'f' THEN 'a foreign table' ELSE 'missing' END)
  FROM eventstore.projection_versions AS v
 CROSS JOIN LATERAL (SELECT u.name || CASE WHEN v.serving THEN '' ELSE '__v' || v.version END
                       FROM unnest(v.tables) AS u(name)) AS t(name)
  LEFT JOIN (pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n
             ON n.oid = c.relnamespace AND n.nspname = $1::text)
    ON c.relname = t.name
 WHERE c.relkind IS NULL OR c.relkind NOT IN ('r', 'p')
 ORDER BY 1;

-- name: invalid_indexes
-- $1: schema. What a failed CREATE INDEX CONCURRENTLY or REINDEX leaves behind.
SELECT c.relname::text
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = $1::text AND NOT (i.indisvalid AND i.indisready AND i.indislive)
 ORDER BY 1;

-- name: repeated_event_ids
-- Run with index scans off: the unique index is what is being checked.
SELECT e.event_id::text || ' is at positions ' || string_agg(e.position::text, ', ' ORDER BY e.position),
       count(*) OVER ()
  FROM eventstore.events AS e
 GROUP BY e.event_id HAVING count(*) > 1
 LIMIT 20;

-- name: wrong_event_tags
-- What events say of their tags and what the index says, both ways.
SELECT CASE WHEN i.tag IS NULL THEN 'position ' || w.position || ' has tag ' || w.tag || ', which is not in event_tags'
            ELSE 'event_tags has ' || i.tag || ' for position ' || i.position || ', which does not have it' END,
       count(*) OVER ()
  FROM eventstore.event_tags AS i
  FULL JOIN (SELECT DISTINCT t.tag COLLATE "C" AS tag, e.position
               FROM eventstore.events AS e CROSS JOIN LATERAL unnest(e.tags) AS t(tag)) AS w
       ON w.tag = i.tag AND w.position = i.position
 WHERE i.tag IS NULL OR w.tag IS NULL
 LIMIT 20;

-- name: weak_triggers
-- The triggers that refuse changes, where one is missing or does not fire in every session.
SELECT w.name || CASE WHEN t.tgname IS NULL THEN ' on ' || w.tab || ' is missing'
                      ELSE ' on ' || w.tab || ' is not ENABLE ALWAYS' END
  FROM (VALUES ('events_append_only', 'eventstore.events'),
               ('event_tags_append_only', 'eventstore.event_tags')) AS w(name, tab)
  LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgname = w.name AND t.tgrelid = w.tab::regclass
 WHERE t.tgenabled IS DISTINCT FROM 'A'
 ORDER BY 1;

-- name: roles_that_may_write
-- Roles that could change the log without the append functions: all but superusers, the owner and
-- its members, and PostgreSQL's own pg_... roles (whose members are told, though).
SELECT r.rolname || ' may ' || string_agg(p.privilege, ', ' ORDER BY p.privilege) || ' ' || c.relname
  FROM pg_catalog.pg_class AS c
 CROSS JOIN pg_catalog.pg_roles AS r
 CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p(privilege)
 WHERE c.oid IN ('eventstore.events'::regclass, 'eventstore.event_tags'::regclass)
   AND NOT r.rolsuper AND NOT starts_with(r.rolname, 'pg_')
   AND NOT pg_catalog.pg_has_role(r.oid, c.relowner, 'MEMBER')
   AND pg_catalog.has_table_privilege(r.oid, c.oid, p.privilege)
 GROUP BY r.rolname, c.relname
 ORDER BY 1;
