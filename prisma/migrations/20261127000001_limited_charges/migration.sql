-- What decides calls, besides the statement in src/storage/sql/charge.ts.
--
-- Servers of different versions share these functions during an upgrade. A function whose meaning changes therefore
-- gets a new name, and the old one stays until no version calls it.

-- Rows are removed after a day and others take their places, so the ranges of a BRIN index would soon hold all times.
DROP INDEX "metered_request_at_idx";
CREATE INDEX "metered_request_at_idx" ON "metered_request"("at");

-- A group of calls with what decides it. "flags": 1, the secret is the one before the last re-generation; 2, the key may
-- touch only some resources; 4, it may be used only from some networks.
CREATE TYPE "latchkey_judged" AS (
    "position" BIGINT,
    "calls" INTEGER,
    "api_key_id" UUID,
    "account_id" UUID,
    "external_id" TEXT,
    "quota" BIGINT,
    "verdict" TEXT,
    "flags" INTEGER,
    "api_call_id" UUID,
    "request_id" TEXT,
    "key_limit" BIGINT,
    "key_rate_calls" INTEGER,
    "key_rate_per_seconds" INTEGER,
    "call_rate_calls" INTEGER,
    "call_rate_per_seconds" INTEGER,
    "plan_rate_calls" INTEGER,
    "plan_rate_per_seconds" INTEGER
);

-- Finds the key of each group of calls and judges what depends on the key and the call alone; no row for a secret that
-- no key has. A single query that does not change anything, so PostgreSQL makes it a part of the query that calls it.
--
-- "digests" holds 32 bytes for each group. "client_ips" and "resource_types" are NULL where the group was sent without
-- them; the verdict is 'needs details' where the key requires them. An empty client IP lies in no network. A type without
-- an id is a list, which a key may read if it may touch any of the type.
CREATE FUNCTION "latchkey_judge"(
    "instant" TIMESTAMPTZ,
    "digests" BYTEA,
    "api_call_names" TEXT[],
    "call_counts" INTEGER[],
    "client_ips" TEXT[],
    "resource_types" TEXT[],
    "resource_ids" TEXT[],
    "request_ids" TEXT[]
) RETURNS SETOF "latchkey_judged" LANGUAGE sql STABLE AS $$
    SELECT asked.position, asked.calls, key.id, key.account_id, account.external_id, plan.monthly_call_quota,
        CASE
            WHEN NOT key.enabled THEN 'disabled'
            WHEN key.expires_at <= $1 THEN 'expired'
            WHEN account.suspended THEN 'suspended'
            WHEN api_call.id IS NULL THEN 'unknown API call'
            WHEN key.access_mode <> 'FULL' AND NOT api_call.always_allowed AND NOT EXISTS (
                SELECT FROM api_key_api_call granted
                WHERE granted.api_key_id = key.id AND granted.api_call_id = api_call.id
            ) THEN 'access denied'
            WHEN key.restricts_resources AND asked.resource_type IS NULL THEN 'needs details'
            WHEN key.restricts_resources AND NOT EXISTS (
                SELECT FROM api_key_resource allowed
                WHERE allowed.api_key_id = key.id AND allowed.type = asked.resource_type
                    AND (asked.resource_id IS NULL OR allowed.resource_id IN ('', asked.resource_id))
            ) THEN 'resource denied'
            WHEN key.allowed_networks = '{}' THEN 'allowed'
            WHEN asked.client_ip IS NULL THEN 'needs details'
            WHEN asked.client_ip = '' OR NOT asked.client_ip::INET <<= ANY (key.allowed_networks) THEN 'network denied'
            ELSE 'allowed'
        END,
        key.previous::INTEGER + 2 * key.restricts_resources::INTEGER
            + CASE WHEN key.allowed_networks = '{}' THEN 0 ELSE 4 END,
        api_call.id, asked.request_id, key.monthly_call_limit, key.rate_calls, key.rate_per_seconds,
        api_call.rate_calls, api_call.rate_per_seconds, plan.rate_calls, plan.rate_per_seconds
    FROM unnest($3, $4, $5, $6, $7, $8) WITH ORDINALITY
        AS asked (api_call, calls, client_ip, resource_type, resource_id, request_id, position)
    CROSS JOIN LATERAL (
        SELECT id, account_id, enabled, expires_at, access_mode, restricts_resources, allowed_networks, monthly_call_limit,
            rate_calls, rate_per_seconds, false AS previous
        FROM api_key
        WHERE digest = substring($2 FROM (asked.position * 32 - 31)::INTEGER FOR 32)
        UNION ALL
        SELECT id, account_id, enabled, expires_at, access_mode, restricts_resources, allowed_networks, monthly_call_limit,
            rate_calls, rate_per_seconds, true
        FROM api_key
        WHERE previous_digest = substring($2 FROM (asked.position * 32 - 31)::INTEGER FOR 32)
            AND previous_secret_expires_at > $1
        LIMIT 1
    ) key
    JOIN account ON account.id = key.account_id
    JOIN plan ON plan.id = account.plan_id
    LEFT JOIN api_call ON api_call.name = asked.api_call
$$;

-- Charges a batch in which keys, plans or API calls have limits besides the accounts' quotas, or calls have ids, as
-- "latchkey_judge" judged it. A single statement could not: its snapshot is older than the locks it waits for. Each
-- statement of a volatile function takes a new snapshot, so this one locks first and then sees what others have committed.
--
-- An account's own bucket is the lock of all its limits. Whoever holds it is alone with the account's buckets, with the
-- counts of its limited keys, and with the ids of its calls. "limited_accounts" are those to lock. A group whose id is
-- also that of an earlier group is left 'undecided'.
--
-- Rows are looked up one by one (LATERAL with LIMIT): a plan that was made while these tables were empty would join them
-- as a whole, and be kept when they have grown.
--
-- The order of locks is the same everywhere: own buckets by account, account_usage by account, api_key_usage by key.
CREATE FUNCTION "latchkey_charge_limited"(
    "in_month" DATE,
    "instant" TIMESTAMPTZ,
    "groups" "latchkey_judged"[],
    "limited_accounts" UUID[]
) RETURNS JSON LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    charge JSON;
BEGIN
    -- Makes the missing ones, and locks the others without changing them.
    INSERT INTO rate_bucket (account_id, subject_id, spent, at, per_seconds)
    SELECT id, id, 0, instant, 1
    FROM unnest(limited_accounts) AS limited (id)
    ORDER BY id
    ON CONFLICT (account_id, subject_id) DO UPDATE SET spent = 0 WHERE false;

    WITH judged AS MATERIALIZED (
        SELECT judged.*,
            CASE
                WHEN request.at IS NULL OR request.at <= instant - INTERVAL '24 hours' THEN verdict
                WHEN request.api_call_id = judged.api_call_id THEN 'replayed'
                ELSE 'request id reused'
            END AS decided
        FROM unnest(groups) AS judged
        LEFT JOIN LATERAL (
            SELECT api_call_id, at
            FROM metered_request
            WHERE api_key_id = judged.api_key_id AND request_id = judged.request_id AND verdict = 'allowed'
            LIMIT 1
        ) request ON true
    ),
    asked AS MATERIALIZED (
        SELECT judged.*,
            CASE
                WHEN decided = 'allowed' AND request_id IS NOT NULL AND calls > 0 AND position NOT IN (
                    SELECT min(position)
                    FROM judged
                    WHERE decided = 'allowed' AND request_id IS NOT NULL AND calls > 0
                    GROUP BY api_key_id, request_id
                ) THEN 'undecided'
                ELSE decided
            END AS access
        FROM judged
    ),
    bucket AS MATERIALIZED (
        SELECT wanted.account_id, wanted.subject_id, wanted.rate_calls, wanted.per_seconds, wanted.calls,
            wanted.per_seconds * 1000::BIGINT AS unit, GREATEST(known.at, instant) AS at,
            CASE WHEN known.spent > 0 THEN GREATEST(0,
                LEAST(
                    CASE WHEN known.per_seconds = wanted.per_seconds THEN known.spent
                        ELSE CEIL(known.spent::NUMERIC * wanted.per_seconds / known.per_seconds)::BIGINT END,
                    1000::BIGINT * wanted.rate_calls * wanted.per_seconds
                ) - LEAST(
                    GREATEST(0, ROUND(date_part('epoch', instant - known.at) * 1000))::BIGINT,
                    wanted.per_seconds * 1000::BIGINT
                ) * wanted.rate_calls
            ) ELSE 0 END AS spent
        FROM (
            SELECT asked.account_id, rate.subject_id, rate.rate_calls, rate.per_seconds, sum(asked.calls) AS calls
            FROM asked
            CROSS JOIN LATERAL (VALUES
                (asked.account_id, plan_rate_calls, plan_rate_per_seconds),
                (asked.api_call_id, call_rate_calls, call_rate_per_seconds),
                (asked.api_key_id, key_rate_calls, key_rate_per_seconds)
            ) AS rate (subject_id, rate_calls, per_seconds)
            WHERE access = 'allowed' AND rate.rate_calls IS NOT NULL
            GROUP BY asked.account_id, rate.subject_id, rate.rate_calls, rate.per_seconds
        ) wanted
        LEFT JOIN LATERAL (
            SELECT spent, at, per_seconds
            FROM rate_bucket
            WHERE account_id = wanted.account_id AND subject_id = wanted.subject_id
            LIMIT 1
        ) known ON true
    ),
    full_account AS MATERIALIZED (
        SELECT account_id
        FROM bucket
        WHERE calls > 0 AND spent + calls * unit > rate_calls * unit
        UNION ALL
        SELECT wanted.account_id
        FROM (
            SELECT account_id, api_key_id, key_limit, sum(calls) AS calls
            FROM asked
            WHERE access = 'allowed' AND calls > 0 AND key_limit IS NOT NULL
            GROUP BY account_id, api_key_id, key_limit
        ) wanted
        WHERE wanted.calls + COALESCE(
            (SELECT calls FROM api_key_usage WHERE month = in_month AND api_key_id = wanted.api_key_id), 0
        ) > key_limit
    ),
    charged AS (
        INSERT INTO account_usage AS usage (month, account_id, calls, quota)
        SELECT in_month, account_id, sum(calls), quota
        FROM asked
        WHERE access = 'allowed' AND calls > 0 AND account_id NOT IN (SELECT account_id FROM full_account)
        GROUP BY account_id, quota
        HAVING quota IS NULL OR sum(calls) <= quota
        ORDER BY account_id
        ON CONFLICT (month, account_id) DO UPDATE
        SET calls = usage.calls + excluded.calls, quota = excluded.quota
        WHERE excluded.quota IS NULL OR usage.calls + excluded.calls <= excluded.quota
        RETURNING account_id, calls
    ),
    counted AS (
        INSERT INTO api_key_usage AS usage (month, api_key_id, calls, last_call_at)
        SELECT in_month, api_key_id, sum(calls), instant
        FROM asked
        WHERE access = 'allowed' AND calls > 0 AND (account_id IN (SELECT account_id FROM charged)) IS TRUE
        GROUP BY api_key_id
        ORDER BY api_key_id
        ON CONFLICT (month, api_key_id) DO UPDATE
        SET calls = usage.calls + excluded.calls, last_call_at = GREATEST(usage.last_call_at, excluded.last_call_at)
        RETURNING api_key_id, calls
    ),
    drawn AS (
        INSERT INTO rate_bucket (account_id, subject_id, spent, at, per_seconds)
        SELECT account_id, subject_id, spent + calls * unit, at, per_seconds
        FROM bucket
        WHERE calls > 0 AND (account_id IN (SELECT account_id FROM charged)) IS TRUE
        ON CONFLICT (account_id, subject_id) DO UPDATE
        SET spent = excluded.spent, at = excluded.at, per_seconds = excluded.per_seconds
    ),
    remembered AS (
        INSERT INTO metered_request (api_key_id, request_id, api_call_id, at)
        SELECT api_key_id, request_id, api_call_id, instant
        FROM asked
        WHERE access = 'allowed' AND calls > 0 AND request_id IS NOT NULL
            AND (account_id IN (SELECT account_id FROM charged)) IS TRUE
        ON CONFLICT (api_key_id, request_id) DO UPDATE
        SET api_call_id = excluded.api_call_id, at = excluded.at
    )
    SELECT json_build_array(
        (SELECT json_agg(json_build_array(position, api_key_id, account_id, external_id, quota, access, flags,
            CASE WHEN (account_id IN (SELECT account_id FROM charged)) IS NOT TRUE THEN
                (SELECT calls FROM account_usage WHERE month = in_month AND account_id = asked.account_id) END,
            CASE WHEN (api_key_id IN (SELECT api_key_id FROM counted)) IS NOT TRUE THEN
                (SELECT calls FROM api_key_usage WHERE month = in_month AND api_key_id = asked.api_key_id) END,
            key_limit,
            CASE WHEN call_rate_calls IS NOT NULL THEN api_call_id END
        )) FROM asked),
        (SELECT json_agg(json_build_array(account_id, calls)) FROM charged),
        (SELECT json_agg(json_build_array(api_key_id, calls)) FROM counted),
        (SELECT json_agg(json_build_array(account_id, subject_id, rate_calls, per_seconds,
            (rate_calls * unit - spent_now) / unit,
            ahead_ms + (spent_now + rate_calls - 1) / rate_calls,
            CASE WHEN spent_now + unit > rate_calls * unit
                THEN ahead_ms + (spent_now + unit - rate_calls * unit + rate_calls - 1) / rate_calls ELSE 0 END
        )) FROM (
            SELECT bucket.*, ROUND(date_part('epoch', at - instant) * 1000)::BIGINT AS ahead_ms,
                CASE WHEN (account_id IN (SELECT account_id FROM charged)) IS TRUE
                    THEN spent + calls * unit ELSE spent END AS spent_now
            FROM bucket
        ) bucket),
        (SELECT json_agg(json_build_array(restricted.api_key_id, allowed.type, allowed.ids))
            FROM (SELECT DISTINCT api_key_id FROM asked WHERE flags & 2 > 0) restricted
            CROSS JOIN LATERAL (
                SELECT type, json_agg(resource_id) AS ids
                FROM api_key_resource
                WHERE api_key_resource.api_key_id = restricted.api_key_id
                GROUP BY type
            ) allowed)
    ) INTO charge;
    RETURN charge;
END
$$;
