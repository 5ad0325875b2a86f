-- Part of compare_projection: rows of a read table, and a checksum of some columns that does not
-- depend on the order of the rows. As of the moment of the query that asks; NULLs: no such table.
CREATE FUNCTION eventstore.read_table_sum(
    _table       text,
    _columns     text[],
    OUT "rows"   bigint,
    OUT checksum text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    _row text := (SELECT coalesce(string_agg(format('t.%I', c), ', ' ORDER BY c), '') FROM unnest(_columns) AS c);
BEGIN
    IF _table IS NOT NULL THEN
        EXECUTE format(
            'SELECT count(*), lpad(to_hex(mod(coalesce(sum(hashtextextended(ROW(%s)::text, 0)), 0), 9223372036854775808)::bigint), 16, ''0'')'
            ' FROM eventstore_read.%I AS t', _row, _table) INTO "rows", checksum;
    END IF;
END $$;
