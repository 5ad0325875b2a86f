-- Part of run_inline, empty_read_table and read_table_sum: refuses what surroundings_v1 finds changed.
CREATE FUNCTION eventstore.refuse_changes_v1(_before text[], _after text[]) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _changed text;
BEGIN
    IF _before <> _after THEN
        SELECT regexp_replace(c.was, '[=@].*', '') INTO _changed
          FROM unnest(_before, _after) AS c(was, now) WHERE c.was IS DISTINCT FROM c.now LIMIT 1;
        RAISE EXCEPTION 'the code of a projection in eventstore_read changes %, which is the session''s or the store''s', _changed
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'pause that projection, and take what changes it out of its functions, triggers and views';
    END IF;
END $$;
