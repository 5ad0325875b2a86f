-- Part of consumer_create_v1 and delete_consumer, under the lock of the group's row: ST011 if a worker
-- runs the group.
CREATE FUNCTION eventstore.consumer_unrun_v1(_group text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _workers text[] := ARRAY(SELECT w.member FROM eventstore.consumer_workers AS w
                              WHERE w.consumer_group = _group AND w.seen_until >= clock_timestamp() ORDER BY 1);
BEGIN
    IF _workers <> '{}' THEN
        RAISE EXCEPTION 'consumer group "%" is run by % worker%: end % first',
                _group, cardinality(_workers), left('s', cardinality(_workers) - 1),
                CASE cardinality(_workers) WHEN 1 THEN 'it' ELSE 'them' END
            USING ERRCODE = 'ST011',
                  HINT = array_to_string(_workers, ', ') || '; one that was killed is forgotten within seconds';
    END IF;
END $$;
