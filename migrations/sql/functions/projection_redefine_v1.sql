-- Part of projection_register_v1: gives a version that has not begun another definition, and removes its
-- tables, to be made anew. It has not as long as its checkpoint is at the start, its tables are empty and
-- no worker runs it. Otherwise false: then it is known as it is. ST010: its tables are being read, or
-- something depends on them.
CREATE FUNCTION eventstore.projection_redefine_v1(
    _projection  text,
    _version     integer,
    _query       jsonb,
    _tables      text[],
    _fingerprint text,
    _partitions  integer
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _of     eventstore.projection_versions;
    _lease  bigint;
    _table  text;
    _detail text;
BEGIN
    PERFORM FROM eventstore.projection_versions AS v
      WHERE v.projection = _projection AND v.version = _version AND v.fingerprint <> _fingerprint;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Locks, in this order: partitions, tables, versions.
    BEGIN
        PERFORM FROM eventstore.projection_partitions AS p
          WHERE p.projection = _projection AND p.version = _version
          ORDER BY p.partition FOR NO KEY UPDATE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;  -- a batch is under way, or somebody else does this
    END;
    SELECT v.* INTO _of FROM eventstore.projection_versions AS v
     WHERE v.projection = _projection AND v.version = _version AND v.fingerprint <> _fingerprint
       AND NOT EXISTS (SELECT FROM eventstore.projection_partitions AS p
                        WHERE p.projection = v.projection AND p.version = v.version AND p.checkpoint > 0)
       AND (v.state <> 'running'
            OR NOT EXISTS (SELECT FROM eventstore.projection_workers AS w
                            WHERE w.projection = v.projection AND w.version = v.version AND w.seen_until >= clock_timestamp()));
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM eventstore.lock_read_tables(eventstore.read_table_names(_of));
    FOREACH _table IN ARRAY eventstore.read_table_names(_of) LOOP
        IF to_regclass(format('eventstore_read.%I', _table)) IS NOT NULL
           AND (SELECT s.rows FROM eventstore.read_table_sum(_table, '{}') AS s) > 0
        THEN
            RETURN false;
        END IF;
    END LOOP;
    FOREACH _table IN ARRAY eventstore.read_table_names(_of) LOOP
        EXECUTE format('DROP TABLE IF EXISTS eventstore_read.%I', _table);
    END LOOP;
    EXECUTE format('DROP FUNCTION IF EXISTS eventstore_read.%I(bigint, bigint), eventstore_read.%I(bigint, bigint)',
                   _projection || '__inline_v' || _version, _projection || '__beside_v' || _version);
    -- A new lease: a worker with the old definition writes nothing any more.
    SELECT max(p.lease) + 1 INTO _lease FROM eventstore.projection_partitions AS p
     WHERE p.projection = _projection AND p.version = _version;
    DELETE FROM eventstore.projection_partitions AS p WHERE p.projection = _projection AND p.version = _version;
    INSERT INTO eventstore.projection_partitions (projection, version, partition, epoch, lease)
    SELECT _projection, _version, p, (SELECT l.epoch FROM eventstore.log AS l), _lease
      FROM generate_series(0, _partitions - 1) AS p;
    DELETE FROM eventstore.projection_failures AS f WHERE f.projection = _projection AND f.version = _version;
    UPDATE eventstore.projection_versions AS v
       SET query = _query, tables = _tables, fingerprint = _fingerprint, partitions = _partitions, inline = false,
           state = CASE v.state WHEN 'stopped' THEN 'running' ELSE v.state END, reason = NULL
     WHERE v.projection = _projection AND v.version = _version;
    RETURN true;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS _detail = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'something depends on read table "%": %', _table, _detail
        USING ERRCODE = 'ST010', HINT = 'drop it, and make it anew on the new table';
END $$;
