-- Administration: say that history may have been rewound (the database was restored from a backup
-- that is older than what clients have seen). Positions of an earlier epoch are then refused
-- instead of being taken for positions of this one. For the owner only.
CREATE FUNCTION eventstore.begin_epoch() RETURNS integer
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventstore.log SET epoch = epoch + 1 RETURNING epoch
$$;
