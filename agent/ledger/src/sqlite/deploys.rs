//! Marked deploys.

use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection, SqlitePool};

use super::{SqliteLedger, query};
use crate::retention::DEPLOYS_KEPT;
use crate::{DeployStore, LedgerError};
use lookout_model::{DeployRecord, Timestamp};

#[derive(FromRow)]
struct DeployRow {
    id: String,
    idempotency_key: String,
    service: String,
    environment: String,
    version: String,
    commit_id: String,
    actor: String,
    class: String,
    started_at_ms: i64,
}

impl TryFrom<DeployRow> for DeployRecord {
    type Error = sqlx::Error;

    fn try_from(row: DeployRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id,
            idempotency_key: row.idempotency_key,
            service: row.service,
            environment: row.environment,
            version: row.version,
            commit: row.commit_id,
            actor: row.actor,
            class: row.class.parse().map_err(|error| sqlx::Error::Decode(Box::new(error) as _))?,
            started_at: Timestamp::from_millis(row.started_at_ms),
        })
    }
}

pub(super) async fn record(
    connection: &mut SqliteConnection,
    deploy: &DeployRecord,
) -> sqlx::Result<DeployRecord> {
    sqlx::query(
        "insert into deploy \
         (id, idempotency_key, service, environment, version, commit_id, actor, class, started_at_ms) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (idempotency_key) do nothing",
    )
    .bind(&deploy.id)
    .bind(&deploy.idempotency_key)
    .bind(&deploy.service)
    .bind(&deploy.environment)
    .bind(&deploy.version)
    .bind(&deploy.commit)
    .bind(&deploy.actor)
    .bind(deploy.class.as_str())
    .bind(deploy.started_at.as_millis())
    .execute(&mut *connection)
    .await?;
    let stored: DeployRow = sqlx::query_as("select * from deploy where idempotency_key = $1")
        .bind(&deploy.idempotency_key)
        .fetch_one(&mut *connection)
        .await?;
    stored.try_into()
}

pub(super) async fn newest(
    pool: &SqlitePool,
    service: Option<&str>,
    limit: u32,
) -> sqlx::Result<Vec<DeployRecord>> {
    let rows: Vec<DeployRow> = sqlx::query_as(
        "select * from deploy where $1 is null or service = $1 order by started_at_ms desc, rowid desc limit $2",
    )
    .bind(service)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Forgets deploys of before an instant, and those beyond the most that are kept.
pub(super) async fn prune(connection: &mut SqliteConnection, before: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "delete from deploy where started_at_ms < $1 or id in \
         (select id from deploy order by started_at_ms desc, id limit -1 offset $2)",
    )
    .bind(before.as_millis())
    .bind(DEPLOYS_KEPT)
    .execute(connection)
    .await?;
    Ok(())
}

#[async_trait]
impl DeployStore for SqliteLedger {
    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError> {
        let mut work = self.writer.begin("storing a deploy").await?;
        let stored = record(&mut work.connection, deploy).await.map_err(query("storing a deploy"))?;
        work.commit().await?;
        Ok(stored)
    }

    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError> {
        newest(&self.readers, service, limit).await.map_err(query("reading deploys"))
    }
}
