-- Part of compare_projection: rows of a read table, and a checksum of some columns that does not
-- depend on the order of the rows. As of the moment of the query that asks; NULLs: no such table.
-- With a worker's rights, since a worker may have made it a view: see run_inline.
CREATE OR REPLACE FUNCTION eventstore.read_table_sum(
    _table       text,
    _columns     text[],
    OUT "rows"   bigint,
    OUT checksum text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    _before text[];
BEGIN
    IF current_user <> 'eventstore_inline' THEN
        RAISE EXCEPTION 'eventstore.read_table_sum() is to run as eventstore_inline' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF _table IS NOT NULL THEN
        _before := eventstore.surroundings_v1(current_setting('search_path'));
        EXECUTE format(
            'SELECT count(*), lpad(to_hex(mod(coalesce(sum(hashtextextended(ROW(%s)::text, 0)), 0), 9223372036854775808)::bigint), 16, ''0'')'
            ' FROM eventstore_read.%I AS t',
            (SELECT coalesce(string_agg(format('t.%I', c), ', ' ORDER BY c), '') FROM unnest(_columns) AS c),
            _table) INTO "rows", checksum;
        PERFORM eventstore.refuse_changes_v1(_before, eventstore.surroundings_v1(pg_catalog.current_setting('search_path')));
    END IF;
END $$;
