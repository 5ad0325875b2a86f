-- What the code of workers must leave as it was: the functions that run such code, and every setting
-- that an ordinary user may change and that outlives a statement. Those functions call it before and
-- after, with the search_path that they see: here it is another.
CREATE FUNCTION eventstore.surroundings_v1(_search_path text) RETURNS text[]
LANGUAGE sql VOLATILE  -- read_table_sum is stable, and would not see what has changed since it began
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(s.name || '=' || coalesce(current_setting(s.name, true), '')) || ('search_path=' || _search_path)
           || ARRAY(SELECT p.proname || '@' || p.xmin::text FROM pg_proc AS p
                     WHERE p.pronamespace = 'eventstore'::regnamespace
                       AND p.proname IN ('run_inline', 'empty_read_table', 'read_table_sum')
                     ORDER BY p.proname)
      FROM unnest('{
        DateStyle, IntervalStyle, TimeZone, application_name, array_nulls, backend_flush_after,
        backslash_quote, bytea_output, check_function_bodies, client_connection_check_interval,
        client_encoding, client_min_messages, commit_siblings, constraint_exclusion, cpu_index_tuple_cost,
        cpu_operator_cost, cpu_tuple_cost, createrole_self_grant, cursor_tuple_fraction,
        debug_logical_replication_streaming, debug_parallel_query, debug_pretty_print, debug_print_parse,
        debug_print_plan, debug_print_rewritten, default_statistics_target, default_table_access_method,
        default_tablespace, default_text_search_config, default_toast_compression,
        default_transaction_deferrable, default_transaction_isolation, default_transaction_read_only,
        effective_cache_size, effective_io_concurrency, enable_async_append, enable_bitmapscan,
        enable_distinct_reordering, enable_gathermerge, enable_group_by_reordering, enable_hashagg,
        enable_hashjoin, enable_incremental_sort, enable_indexonlyscan, enable_indexscan, enable_material,
        enable_memoize, enable_mergejoin, enable_nestloop, enable_parallel_append, enable_parallel_hash,
        enable_partition_pruning, enable_partitionwise_aggregate, enable_partitionwise_join,
        enable_presorted_aggregate, enable_self_join_elimination, enable_seqscan, enable_sort,
        enable_tidscan, escape_string_warning, exit_on_error, extra_float_digits, file_copy_method,
        force_parallel_mode, from_collapse_limit, geqo, geqo_effort, geqo_generations, geqo_pool_size,
        geqo_seed, geqo_selection_bias, geqo_threshold, gin_fuzzy_search_limit, gin_pending_list_limit,
        hash_mem_multiplier, icu_validation_level, idle_in_transaction_session_timeout,
        idle_session_timeout, io_combine_limit, jit, jit_above_cost, jit_expressions,
        jit_inline_above_cost, jit_optimize_above_cost, jit_tuple_deforming, join_collapse_limit,
        lc_monetary, lc_numeric, lc_time, local_preload_libraries, lock_timeout,
        log_parameter_max_length_on_error, logical_decoding_work_mem, maintenance_io_concurrency,
        maintenance_work_mem, max_parallel_maintenance_workers, max_parallel_workers,
        max_parallel_workers_per_gather, md5_password_warnings, min_parallel_index_scan_size,
        min_parallel_table_scan_size, parallel_leader_participation, parallel_setup_cost,
        parallel_tuple_cost, password_encryption, plan_cache_mode, quote_all_identifiers, random_page_cost,
        recursive_worktable_factor, restrict_nonsystem_relation_kind, row_security, scram_iterations,
        seq_page_cost, standard_conforming_strings, statement_timeout, stats_fetch_consistency,
        synchronize_seqscans, synchronous_commit, tcp_keepalives_count, tcp_keepalives_idle,
        tcp_keepalives_interval, tcp_user_timeout, temp_buffers, temp_tablespaces, timezone_abbreviations,
        trace_notify, trace_sort, transaction_timeout, transform_null_equals, vacuum_buffer_usage_limit,
        vacuum_cost_delay, vacuum_cost_limit, vacuum_cost_page_dirty, vacuum_cost_page_hit,
        vacuum_cost_page_miss, vacuum_failsafe_age, vacuum_freeze_min_age, vacuum_freeze_table_age,
        vacuum_max_eager_freeze_failure_rate, vacuum_multixact_failsafe_age,
        vacuum_multixact_freeze_min_age, vacuum_multixact_freeze_table_age, vacuum_truncate,
        wal_sender_timeout, wal_skip_threshold, work_mem, xmlbinary, xmloption
      }'::text[]) AS s(name)
$$;
