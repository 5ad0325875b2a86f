-- What is wrong with a query, with its path; NULL if nothing is. A query that is not understood
-- matches nothing, and as an append condition it would hold whatever the log contains.
CREATE OR REPLACE FUNCTION eventstore.query_fault_v1(_query jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
           WHEN jsonb_typeof(_query) IS DISTINCT FROM 'object' THEN '$: an object is needed'
           WHEN jsonb_typeof(_query -> 'any_of') IS DISTINCT FROM 'array' OR _query -> 'any_of' = '[]'
                THEN '$.any_of: a list of at least one item is needed'
           WHEN jsonb_array_length(_query -> 'any_of') > 64 THEN '$.any_of: at most 64 items'
           WHEN _query - 'any_of' <> '{}' THEN
                (SELECT format('$: unknown member "%s"; known: any_of', min(k.name))
                   FROM jsonb_object_keys(_query - 'any_of') AS k(name))
           ELSE (
                SELECT format('$.any_of[%s]%s', i.n - 1, f.fault)
                  FROM jsonb_array_elements(_query -> 'any_of') WITH ORDINALITY AS i(item, n)
                 CROSS JOIN LATERAL (
                    SELECT ': an object is needed' WHERE jsonb_typeof(i.item) <> 'object'
                    UNION ALL
                    SELECT CASE
                           WHEN d.name NOT IN ('streams', 'categories', 'types', 'tags') THEN
                                format(': unknown member "%s"; known: streams, categories, types, tags', d.name)
                           WHEN jsonb_typeof(d.value) <> 'array'
                                THEN format('.%s: a list of texts is needed', d.name)
                           WHEN jsonb_path_exists(d.value, 'strict $[*] ? (@.type() != "string")')
                                THEN format('.%s: a list of texts is needed', d.name)
                           END
                      FROM jsonb_each(CASE jsonb_typeof(i.item) WHEN 'object' THEN i.item ELSE '{}' END)
                           AS d(name, value)
                 ) AS f(fault)
                 WHERE f.fault IS NOT NULL
                 ORDER BY i.n, f.fault LIMIT 1)
           END
$$;
