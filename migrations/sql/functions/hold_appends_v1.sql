-- Appends wait until the transaction ends: for a runner that comes to the head and leaves what comes
-- after it to appends themselves, and for a switch of what they apply. Taken before any partition, as
-- appends do. Gives the head.
CREATE FUNCTION eventstore.hold_appends_v1() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
BEGIN
    PERFORM FROM eventstore.log FOR UPDATE;
    RETURN (SELECT coalesce(max(e.position), 0) FROM eventstore.events AS e);
END $$;
