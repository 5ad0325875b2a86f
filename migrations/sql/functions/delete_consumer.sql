-- Removes a consumer group with all that it has not delivered yet. Gives whether it was there. ST011: a
-- worker runs it.
CREATE FUNCTION eventstore.delete_consumer(consumer_group text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
BEGIN
    DELETE FROM eventstore.consumer_groups AS g WHERE g.consumer_group = $1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM eventstore.consumer_unrun_v1($1);
    DELETE FROM eventstore.deliveries AS d WHERE d.consumer_group = $1;
    DELETE FROM eventstore.consumer_workers AS w WHERE w.consumer_group = $1;
    RETURN true;
END $$;
