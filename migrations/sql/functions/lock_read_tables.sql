-- Part of what operators do: keeps everyone away from read tables until the transaction ends. Those
-- who come while it waits for a reader wait behind it, so it waits for moments only, and lets them
-- go on in between. The first waits are shorter than deadlock_timeout, so that it is never a reader
-- who is refused; the last is longer, so that an autovacuum gives way. ST010: somebody reads on.
CREATE FUNCTION eventstore.lock_read_tables(_tables text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = 0  -- what is set below ends with this function
AS $$
DECLARE
    _wait  text;
    _names text;
    _pids  text;
BEGIN
    SELECT string_agg(format('eventstore_read.%I', t), ', ' ORDER BY n) INTO _names
      FROM unnest(_tables) WITH ORDINALITY AS u(t, n)
     WHERE to_regclass(format('eventstore_read.%I', t)) IS NOT NULL;
    IF _names IS NULL THEN
        RETURN;
    END IF;
    FOREACH _wait IN ARRAY '{50ms,100ms,200ms,400ms,800ms,2s}'::text[] LOOP
        PERFORM set_config('lock_timeout', _wait, true);
        BEGIN
            EXECUTE 'LOCK TABLE ' || _names || ' IN ACCESS EXCLUSIVE MODE';
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.05);
        END;
    END LOOP;
    SELECT string_agg(DISTINCT l.pid::text, ', ') INTO _pids FROM pg_locks AS l
     WHERE l.granted AND l.locktype = 'relation' AND l.pid <> pg_backend_pid()
       AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
       AND l.relation IN (SELECT to_regclass(format('eventstore_read.%I', t)) FROM unnest(_tables) AS t);
    RAISE EXCEPTION 'another transaction holds read tables (%): backend %; nothing was changed', _names, coalesce(_pids, 'unknown')
        USING ERRCODE = 'ST010', HINT = 'let it end, or end it with pg_terminate_backend(), and try again';
END $$;
