-- A runner that has begun a batch and is near the head: appends wait until its transaction ends, so
-- that it can apply the rest and leave what comes to the appends themselves. Gives the head.
CREATE FUNCTION eventstore.projection_attach_v1() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
BEGIN
    PERFORM FROM eventstore.log FOR UPDATE;
    RETURN (SELECT coalesce(max(e.position), 0) FROM eventstore.events AS e);
END $$;
