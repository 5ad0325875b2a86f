-- Part of apply_inline: lets an inline projection apply the events after one position up to another,
-- with a worker's rights, since a worker may give its function any body. It belongs to the workers,
-- who may thus alter it, but not its body: that refuses first to run as anybody else, and till then
-- uses no name that depends on a search_path (declared types would).
CREATE FUNCTION eventstore.run_inline(_function text, _after bigint, _upto bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_user OPERATOR(pg_catalog.<>) 'eventstore_worker' THEN
        RAISE EXCEPTION 'eventstore.run_inline() is to run as eventstore_worker' USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('SELECT eventstore_read.%I($1, $2)', _function) USING _after, _upto;
END $$;
