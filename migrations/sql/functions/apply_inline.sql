-- Runs inline projections within the transaction that appends, each with what it has not applied:
-- under the append lock that is what was just inserted. Locks the partition as a batch does, and
-- then looks again: a version that is being switched or stopped is no longer applied here.
CREATE FUNCTION eventstore.apply_inline() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _of   record;
    _done bigint;
    _head bigint;
    _kind text;  -- of the statement: it has the names that the tables have now
BEGIN
    FOR _of IN SELECT v.projection, v.version FROM eventstore.projection_versions AS v
                WHERE v.inline ORDER BY v.projection, v.version
    LOOP
        SELECT p.checkpoint INTO _done FROM eventstore.projection_partitions AS p
         WHERE p.projection = _of.projection AND p.version = _of.version AND p.partition = 0
           FOR NO KEY UPDATE;
        SELECT CASE WHEN v.serving THEN '__inline_v' ELSE '__beside_v' END INTO _kind
          FROM eventstore.projection_versions AS v
         WHERE v.projection = _of.projection AND v.version = _of.version AND v.inline;
        CONTINUE WHEN NOT FOUND;
        SELECT max(e.position) INTO _head FROM eventstore.events AS e;
        PERFORM eventstore.run_inline(_of.projection || _kind || _of.version, _done, _head);
        -- It may have set another for the session: then operators would be its own.
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        UPDATE eventstore.projection_partitions AS p SET checkpoint = _head, moved_at = clock_timestamp()
         WHERE p.projection = _of.projection AND p.version = _of.version AND p.partition = 0
           AND p.checkpoint < _head;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER events_inline AFTER INSERT ON eventstore.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstore.apply_inline();
