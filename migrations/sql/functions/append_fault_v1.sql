-- What is wrong with the names, the events or the tags of a batch, as {problem, path}; NULL if nothing
-- is. The rules are those of the Python face (eventstore/core: streams, events, jsontext, limits), which
-- a test compares. Every writer may call append_v1, and what it stored could break each reader for good.
CREATE FUNCTION eventstore.append_fault_v1(
    _append_stream  text[],
    _event_type     text[],
    _event_data     jsonb[],
    _event_metadata jsonb[],
    _event_tags     text[]
) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    _fault jsonb;
BEGIN
    -- One look at everything that finds nothing, nearly always: names of plain ASCII, short texts. To
    -- begin a regular expression costs more than to run it on, so that it is given all names at once.
    IF array_to_string(_append_stream, '') COLLATE "C" !~ '[^!-~]'
       AND array_to_string(_event_type, '') COLLATE "C" !~ '[^!-~]'
       AND (SELECT bool_and(octet_length(a.stream) BETWEEN 1 AND 255) FROM unnest(_append_stream) AS a(stream))
       AND (SELECT bool_and(octet_length(e.type) BETWEEN 1 AND 255
                            AND octet_length(e.data::text) <= 1000
                            AND (e.metadata = '{}' OR jsonb_typeof(e.metadata) = 'object'
                                                      AND octet_length(e.metadata::text) <= 1000))
              FROM unnest(_event_type, _event_data, _event_metadata) AS e(type, data, metadata))
       AND (_event_tags IS NULL
            OR (SELECT bool_and(array_ndims(t.tags) = 1 AND array_lower(t.tags, 1) = 1 AND cardinality(t.tags) <= 64
                                AND array_position(t.tags, NULL) IS NULL AND '' <> ALL (t.tags)
                                AND octet_length(array_to_string(t.tags, '')) <= 255
                                AND array_to_string(t.tags, '') COLLATE "C" !~ '[^!-~]'
                                AND (cardinality(t.tags) = 1
                                     OR t.tags = ARRAY(SELECT DISTINCT one.tag COLLATE "C" FROM unnest(t.tags) AS one(tag) ORDER BY 1)))
                  FROM unnest(_event_tags) AS e(tags)
                 CROSS JOIN LATERAL (SELECT e.tags::text[]) AS t(tags)
                 WHERE e.tags IS NOT NULL)
               IS NOT FALSE)
    THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_build_object('problem', f.problem, 'path', f.path) INTO _fault
      FROM (
        SELECT 1 AS what, a.n, eventstore.name_fault_v1(a.stream, 'a stream name'), format('append %s', a.n)
          FROM unnest(_append_stream) WITH ORDINALITY AS a(stream, n)
        UNION ALL
        SELECT 2, e.n, eventstore.name_fault_v1(e.type, 'an event type'), format('event %s', e.n)
          FROM unnest(_event_type) WITH ORDINALITY AS e(type, n)
        UNION ALL
        SELECT 3, e.n,
               CASE WHEN jsonb_typeof(e.metadata) <> 'object' THEN 'metadata is an object'
                    ELSE coalesce(
                        CASE WHEN length(t.data) > 1000 THEN eventstore.json_fault_v1(e.data, t.data) END,
                        CASE WHEN length(t.metadata) > 1000 THEN eventstore.json_fault_v1(e.metadata, t.metadata) END,
                        CASE WHEN octet_length(t.data) + octet_length(t.metadata) > 1048576
                                  AND eventstore.json_size_v1(t.data) + eventstore.json_size_v1(t.metadata) > 1048576
                             THEN 'an event''s data and metadata are at most 1048576 bytes: '
                                  || eventstore.json_size_v1(t.data) + eventstore.json_size_v1(t.metadata) END)
               END,
               format('event %s', e.n)
          FROM unnest(_event_data, _event_metadata) WITH ORDINALITY AS e(data, metadata, n)
         CROSS JOIN LATERAL (SELECT e.data::text, e.metadata::text OFFSET 0) AS t(data, metadata)
        UNION ALL
        SELECT 4, e.n,
               CASE WHEN array_ndims(t.tags) > 1 OR array_lower(t.tags, 1) <> 1 OR array_position(t.tags, NULL) IS NOT NULL
                         THEN 'tags are a list of texts'
                    WHEN cardinality(t.tags) > 64 THEN 'an event has at most 64 tags'
                    ELSE coalesce(
                        (SELECT min(eventstore.name_fault_v1(one.tag, 'a tag')) FROM unnest(t.tags) AS one(tag)),
                        CASE WHEN t.tags <> ARRAY(SELECT DISTINCT one.tag COLLATE "C" FROM unnest(t.tags) AS one(tag) ORDER BY 1)
                             THEN 'tags are sorted and without repeats' END)
               END,
               format('event %s', e.n)
          FROM unnest(_event_tags) WITH ORDINALITY AS e(tags, n)
         CROSS JOIN LATERAL (SELECT e.tags::text[]) AS t(tags)
         WHERE e.tags IS NOT NULL
      ) AS f(what, n, problem, path)
     WHERE f.problem IS NOT NULL
     ORDER BY f.n, f.what
     LIMIT 1;
    RETURN _fault;
END $$;
