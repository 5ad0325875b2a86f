-- The names that the tables of a version have now in schema eventstore_read, in their order.
CREATE FUNCTION eventstore.read_table_names(_of eventstore.projection_versions) RETURNS text[]
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(t || CASE WHEN _of.serving THEN '' ELSE '__v' || _of.version END ORDER BY n)
      FROM unnest(_of.tables) WITH ORDINALITY AS u(t, n)
$$;
