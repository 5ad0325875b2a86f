-- Last statement of a runner that has come to the head: from now on appends apply it, unless it was
-- paused meanwhile.
CREATE FUNCTION eventstore.projection_inline_v1(_projection text, _version integer) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventstore.projection_versions AS v SET inline = true
     WHERE v.projection = _projection AND v.version = _version AND v.state = 'running'
$$;
