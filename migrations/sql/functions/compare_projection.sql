-- For operators: what the tables of a version hold beside those of the one that serves: rows, and a
-- checksum of the columns that both have. All of it is as of one moment, and nothing waits for it.
-- Up to the timeout it looks for a moment when both are at the same position; otherwise the
-- checkpoints tell how far apart they were. NULLs: that version has no such table. ST008: no such
-- version.
CREATE FUNCTION eventstore.compare_projection(
    projection text,
    version    integer,
    timeout    interval DEFAULT '5 seconds'
) RETURNS TABLE (
    table_name         text,
    columns            text[],
    serving_version    integer,
    serving_checkpoint bigint,
    serving_rows       bigint,
    serving_checksum   text,
    checkpoint         bigint,
    "rows"             bigint,
    checksum           text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _until timestamptz := clock_timestamp() + compare_projection.timeout;
    _old   eventstore.projection_versions;
    _new   eventstore.projection_versions;
BEGIN
    LOOP
        SELECT v.* INTO _old FROM eventstore.projection_versions AS v
         WHERE v.projection = compare_projection.projection AND v.serving;
        SELECT v.* INTO _new FROM eventstore.projection_versions AS v
         WHERE v.projection = compare_projection.projection AND v.version = compare_projection.version;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no projection "%" (version %)', compare_projection.projection, compare_projection.version
                USING ERRCODE = 'ST008', HINT = 'SELECT * FROM eventstore.projection_status';
        END IF;
        BEGIN
            RETURN QUERY
            WITH at AS (
                SELECT min(p.checkpoint) FILTER (WHERE p.version = _old.version) AS old,
                       min(p.checkpoint) FILTER (WHERE p.version = _new.version) AS new,
                       min(p.checkpoint) = max(p.checkpoint) AS is_same
                  FROM eventstore.projection_partitions AS p
                 WHERE p.projection = _old.projection AND p.version IN (_old.version, _new.version)
            ), pairs AS MATERIALIZED (  -- none: not at the same position now
                SELECT name, o.physical AS old, n.physical AS new, at.old AS old_at, at.new AS new_at
                  FROM at,
                       unnest(_old.tables, eventstore.read_table_names(_old)) AS o(name, physical)
                  FULL JOIN unnest(_new.tables, eventstore.read_table_names(_new)) AS n(name, physical) USING (name)
                 WHERE at.is_same OR clock_timestamp() >= _until
            )
            SELECT p.name, c.columns, _old.version, p.old_at, o.rows, o.checksum, p.new_at, n.rows, n.checksum
              FROM pairs AS p
             CROSS JOIN LATERAL (
                    SELECT coalesce(array_agg(a.attname::text ORDER BY a.attname), '{}') AS columns
                      FROM pg_attribute AS a JOIN pg_attribute AS b USING (attname)
                     WHERE a.attrelid = to_regclass('eventstore_read.' || quote_ident(p.old)) AND a.attnum > 0 AND NOT a.attisdropped
                       AND b.attrelid = to_regclass('eventstore_read.' || quote_ident(p.new)) AND b.attnum > 0 AND NOT b.attisdropped) AS c
             CROSS JOIN LATERAL eventstore.read_table_sum(p.old, c.columns) AS o
             CROSS JOIN LATERAL eventstore.read_table_sum(p.new, c.columns) AS n
             ORDER BY p.name;
            EXIT WHEN FOUND;
        EXCEPTION WHEN undefined_table THEN
            IF clock_timestamp() >= _until THEN
                RAISE;
            END IF;  -- else another version serves since a moment ago, and names have changed
        END;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
