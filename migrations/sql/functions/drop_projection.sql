-- For operators: remove a version of a projection that does not serve, or (NULL) the whole projection:
-- all versions, with their read tables, what failed in them, and what appends apply of them. Whoever runs
-- a version leaves it alone then; a worker that starts with its definition builds it anew. ST008: there is
-- no such thing. ST010: it serves, or (the whole) a worker runs it; something depends on its tables, or
-- they are being read.
CREATE FUNCTION eventstore.drop_projection(projection text, version integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _version integer;
    _of      eventstore.projection_versions;
    _all     eventstore.projection_versions[];
    _tables  text[];
    _table   text;
    _owner   text;
    _detail  text;
BEGIN
    -- Locks, in this order: appends if they apply it, partitions, tables, versions.
    IF drop_projection.version IS NULL AND EXISTS (
        SELECT FROM eventstore.projection_versions AS v WHERE v.projection = drop_projection.projection AND v.inline)
    THEN
        PERFORM eventstore.hold_appends_v1();
    END IF;
    FOR _version IN SELECT v.version FROM eventstore.projection_versions AS v
                     WHERE v.projection = drop_projection.projection AND v.version = coalesce(drop_projection.version, v.version)
                     ORDER BY v.serving DESC, v.version  -- as a switch does
    LOOP
        _of := eventstore.freeze_projection(drop_projection.projection, _version);
        _all := _all || _of;
        _tables := _tables || eventstore.read_table_names(_of);
        IF drop_projection.version IS NULL THEN
            SELECT w.owner INTO _owner FROM eventstore.projection_partitions AS p
              JOIN eventstore.projection_workers AS w USING (projection, version, owner)
             WHERE p.projection = _of.projection AND p.version = _of.version AND w.seen_until >= clock_timestamp()
             LIMIT 1;
            IF FOUND AND _of.state = 'running' THEN
                RAISE EXCEPTION 'version % of projection "%" is run by worker %', _of.version, _of.projection, _owner
                    USING ERRCODE = 'ST010', HINT = 'end its workers, or pause it first: eventstore.pause_projection(projection, version)';
            END IF;
        ELSIF _of.serving THEN
            RAISE EXCEPTION 'version % of projection "%" serves', _of.version, _of.projection
                USING ERRCODE = 'ST010', HINT = 'let another version serve first: eventstore.switch_projection(projection, version)';
        END IF;
    END LOOP;
    IF _all IS NULL THEN
        RAISE EXCEPTION 'there is no projection "%"%', drop_projection.projection, coalesce(' (version ' || drop_projection.version || ')', '')
            USING ERRCODE = 'ST008', HINT = 'SELECT * FROM eventstore.projection_status';
    END IF;
    PERFORM eventstore.lock_read_tables(_tables);
    FOREACH _table IN ARRAY _tables LOOP
        EXECUTE format('DROP TABLE IF EXISTS eventstore_read.%I', _table);
    END LOOP;
    FOREACH _of IN ARRAY _all LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS eventstore_read.%I(bigint, bigint), eventstore_read.%I(bigint, bigint)',
                       _of.projection || '__inline_v' || _of.version, _of.projection || '__beside_v' || _of.version);
        DELETE FROM eventstore.projection_versions AS v WHERE v.projection = _of.projection AND v.version = _of.version;
    END LOOP;
    IF drop_projection.version IS NULL AND EXISTS (
        SELECT FROM eventstore.projection_versions AS v WHERE v.projection = drop_projection.projection)
    THEN
        RAISE EXCEPTION 'a worker has begun another version of projection "%" meanwhile', drop_projection.projection
            USING ERRCODE = 'ST010', HINT = 'end its workers, and try again';
    END IF;
    PERFORM pg_notify('eventstore_progress', '');  -- whoever waits for it waits in vain
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS _detail = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'something depends on read table "%": %', _table, _detail
        USING ERRCODE = 'ST010', HINT = 'make it anew on the table that serves, or drop it';
END $$;
