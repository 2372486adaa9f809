-- CreateEnum
CREATE TYPE "api_call_kind" AS ENUM ('READ', 'WRITE');

-- CreateEnum
CREATE TYPE "api_key_access_mode" AS ENUM ('FULL', 'RESTRICTED');

-- CreateTable
CREATE TABLE "plan" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "max_api_keys" INTEGER NOT NULL,
    "monthly_call_quota" BIGINT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "plan_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "account" (
    "id" UUID NOT NULL,
    "external_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "plan_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "account_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_call" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "category" TEXT NOT NULL,
    "kind" "api_call_kind" NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "api_call_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_key" (
    "id" UUID NOT NULL,
    "account_id" UUID NOT NULL,
    "digest" BYTEA,
    "sealed_secret" TEXT,
    "start" TEXT NOT NULL,
    "note" TEXT,
    "access_mode" "api_key_access_mode" NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "regenerated_at" TIMESTAMPTZ(3),
    "removed_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_key_api_call" (
    "api_key_id" UUID NOT NULL,
    "api_call_id" UUID NOT NULL,

    CONSTRAINT "api_key_api_call_pkey" PRIMARY KEY ("api_key_id","api_call_id")
);

-- CreateTable
CREATE TABLE "account_usage" (
    "month" DATE NOT NULL,
    "account_id" UUID NOT NULL,
    "calls" BIGINT NOT NULL,
    "quota" BIGINT,

    CONSTRAINT "account_usage_pkey" PRIMARY KEY ("month","account_id")
);

-- CreateTable
CREATE TABLE "api_key_usage" (
    "month" DATE NOT NULL,
    "api_key_id" UUID NOT NULL,
    "calls" BIGINT NOT NULL,
    "last_call_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "api_key_usage_pkey" PRIMARY KEY ("month","api_key_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "plan_slug_key" ON "plan"("slug");

-- CreateIndex
CREATE UNIQUE INDEX "account_external_id_key" ON "account"("external_id");

-- CreateIndex
CREATE INDEX "account_plan_id_idx" ON "account"("plan_id");

-- CreateIndex
CREATE UNIQUE INDEX "api_call_name_key" ON "api_call"("name");

-- CreateIndex
CREATE UNIQUE INDEX "api_key_digest_key" ON "api_key"("digest");

-- CreateIndex
CREATE INDEX "api_key_account_id_id_idx" ON "api_key"("account_id", "id");

-- CreateIndex
CREATE INDEX "api_key_api_call_api_call_id_idx" ON "api_key_api_call"("api_call_id");

-- CreateIndex
CREATE INDEX "account_usage_account_id_month_idx" ON "account_usage"("account_id", "month");

-- CreateIndex
CREATE INDEX "api_key_usage_api_key_id_month_idx" ON "api_key_usage"("api_key_id", "month");

-- AddForeignKey
ALTER TABLE "account" ADD CONSTRAINT "account_plan_id_fkey" FOREIGN KEY ("plan_id") REFERENCES "plan"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key_api_call" ADD CONSTRAINT "api_key_api_call_api_key_id_fkey" FOREIGN KEY ("api_key_id") REFERENCES "api_key"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key_api_call" ADD CONSTRAINT "api_key_api_call_api_call_id_fkey" FOREIGN KEY ("api_call_id") REFERENCES "api_call"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "account_usage" ADD CONSTRAINT "account_usage_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key_usage" ADD CONSTRAINT "api_key_usage_api_key_id_fkey" FOREIGN KEY ("api_key_id") REFERENCES "api_key"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Every metered call rewrites a usage row. Free space in each page lets PostgreSQL do that in place, without
-- touching an index.
ALTER TABLE "account_usage" SET (fillfactor = 50);
ALTER TABLE "api_key_usage" SET (fillfactor = 50);
