-- Bytes of a JSON text without the spaces that jsonb puts after commas and colons.
CREATE FUNCTION eventstore.json_size_v1(_text text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT octet_length(_text) - (length(bare.text) - length(replace(replace(bare.text, ', ', ','), ': ', ':')))
      FROM (SELECT regexp_replace(_text, '"(?:[^"\\]|\\.)*"', '""', 'g')) AS bare(text)
$$;
