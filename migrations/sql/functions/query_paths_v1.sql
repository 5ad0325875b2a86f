-- How each item of a query is read: through its most telling dimension (a tag, else its streams,
-- else its categories, else its types, else the whole log), one row for each value of it.
-- The other dimensions stay in the row as filters.
CREATE FUNCTION eventstore.query_paths_v1(_query jsonb)
RETURNS TABLE (kind text, key text, streams text[], categories text[], types text[], tags text[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    WITH item AS (
        SELECT ARRAY(SELECT jsonb_array_elements_text(i -> 'streams'))    AS streams,
               ARRAY(SELECT jsonb_array_elements_text(i -> 'categories')) AS categories,
               ARRAY(SELECT jsonb_array_elements_text(i -> 'types'))      AS types,
               ARRAY(SELECT jsonb_array_elements_text(i -> 'tags'))       AS tags
          FROM jsonb_array_elements(_query -> 'any_of') AS i
    )
    SELECT p.kind, k.key, i.streams, i.categories, i.types, i.tags
      FROM item AS i
     CROSS JOIN LATERAL (
        SELECT CASE WHEN i.tags <> '{}'       THEN 'tag'
                    WHEN i.streams <> '{}'    THEN 'stream'
                    WHEN i.categories <> '{}' THEN 'category'
                    WHEN i.types <> '{}'      THEN 'type'
                    ELSE 'all' END AS kind) AS p
     CROSS JOIN LATERAL unnest(
        CASE p.kind WHEN 'tag' THEN i.tags[1:1] WHEN 'stream' THEN i.streams
                    WHEN 'category' THEN i.categories WHEN 'type' THEN i.types
                    ELSE '{""}' END) AS k(key)
$$;
