-- Part of apply_inline: lets an inline projection apply the events after one position up to another,
-- with a worker's rights, since a worker may give its function any body. It belongs to
-- eventstore_inline, which is nobody's but the store's, so that no worker can alter, move or drop it;
-- what that body changes around itself is refused. Restored under another owner, it refuses to run.
CREATE OR REPLACE FUNCTION eventstore.run_inline(_function text, _after bigint, _upto bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _before text[];
BEGIN
    IF current_user <> 'eventstore_inline' THEN
        RAISE EXCEPTION 'eventstore.run_inline() is to run as eventstore_inline' USING ERRCODE = 'insufficient_privilege';
    END IF;
    _before := eventstore.surroundings_v1(current_setting('search_path'));
    EXECUTE format('SELECT eventstore_read.%I($1, $2)', _function) USING _after, _upto;
    PERFORM eventstore.refuse_changes_v1(_before, eventstore.surroundings_v1(pg_catalog.current_setting('search_path')));
END $$;
