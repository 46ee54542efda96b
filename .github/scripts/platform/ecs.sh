# shellcheck shell=bash
# How a revision gets onto ECS. The strategy (share of the first step, bake times, alarms, circuit breaker) belongs to
# the service and stands in terraform/: here only the images change. Images come from the registry of the environment, so
# that a task can start when GitHub is away; they are copied there, and keep their digests.
#
# A revision is the ARN of a task definition; it never changes once it is registered.
: "${ECS_CLUSTER:?}" "${ECS_SERVICE:?}" "${SERVICE_URL:?}"
readonly ecs_container=${ECS_CONTAINER:-titanic} ecs_patience_s=${ECS_PATIENCE:-2400} ecs_poll_s=15

ecs_query() {
  aws ecs describe-services --cluster "$ECS_CLUSTER" --services "$ECS_SERVICE" --output text --query "services[0].$1"
}

# The deployment that has not ended, or nothing.
ecs_ongoing() {
  aws ecs list-service-deployments --cluster "$ECS_CLUSTER" --service "$ECS_SERVICE" --output json \
    --status PENDING IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS STOP_REQUESTED \
    --query 'serviceDeployments[0].serviceDeploymentArn' | jq --raw-output '. // empty'
}

ecs_deployment() {
  aws ecs describe-service-deployments --service-deployment-arns "$1" --output json --query 'serviceDeployments[0]'
}

# Waits until the filter $2 holds for the deployment $1; fails when it ended in another way.
ecs_await() {
  local deployment=$1 wanted=$2 deadline=$((SECONDS + ecs_patience_s)) state
  while :; do
    state=$(ecs_deployment "$deployment")
    if jq --exit-status "$wanted" <<<"$state" >/dev/null; then
      return 0
    fi
    if jq --exit-status '.status | test("^(SUCCESSFUL|STOPPED|ROLLBACK_SUCCESSFUL|ROLLBACK_FAILED)$")' <<<"$state" >/dev/null; then
      jq --raw-output '"the deployment ended with \(.status): \(.statusReason // "no reason given")"' <<<"$state" >&2
      return 1
    fi
    if [[ $SECONDS -ge $deadline ]]; then
      jq --raw-output '"the deployment is still \(.status) at \(.lifecycleStage // "no stage")"' <<<"$state" >&2
      return 1
    fi
    sleep "$ecs_poll_s"
  done
}

# Copies an image by digest into the registry of the environment, and says what it is called there. The tag is for the
# registry, which throws away what has none.
ecs_copied() {
  : "${AWS_REGION:?}"
  local source=$1 digest=${1##*@} name repository registry account
  name=${source##*/}
  repository=$ECS_CLUSTER/${name%%@*}
  account=$(aws sts get-caller-identity --output text --query Account)
  registry=$account.dkr.ecr.$AWS_REGION.amazonaws.com
  if ! ecs_has "$repository" "$digest"; then
    aws ecr get-login-password | docker login --username AWS --password-stdin "$registry" >&2
    docker buildx imagetools create --tag "$registry/$repository:${digest#sha256:}" "$source" >&2
    ecs_has "$repository" "$digest" || { echo "$source did not arrive in $repository as it was" >&2; return 1; }
  fi
  echo "$registry/$repository@$digest"
}

ecs_has() {
  aws ecr describe-images --repository-name "$1" --image-ids "imageDigest=$2" >/dev/null 2>&1
}

platform_current() {
  ecs_query taskDefinition
}

platform_canary() {
  local image agent=${LOOKOUT_IMAGE:-} family definition revision deployment
  image=$(ecs_copied "$1")
  [[ -z $agent ]] || agent=$(ecs_copied "$agent")
  # the newest of the family, not the one that runs: terraform may have changed the others' settings since
  family=$(platform_current)
  family=${family##*/}
  definition=$(aws ecs describe-task-definition --task-definition "${family%%:*}" --output json --query taskDefinition)
  if ! jq --exit-status --arg name "$ecs_container" 'any(.containerDefinitions[]; .name == $name)' <<<"$definition" >/dev/null; then
    echo "the task definition has no container named $ecs_container" >&2
    return 1
  fi
  # what the registration does not take back is what ECS added to it
  definition=$(jq --arg name "$ecs_container" --arg image "$image" --arg agent "$agent" '
    (.containerDefinitions[] | select(.name == $name)).image = $image
    | if $agent == "" then . else (.containerDefinitions[] | select(.name == "lookout")).image = $agent end
    | del(.taskDefinitionArn, .revision, .status, .requiresAttributes, .compatibilities, .registeredAt, .registeredBy)
  ' <<<"$definition")
  revision=$(aws ecs register-task-definition --cli-input-json "$definition" --output text \
    --query taskDefinition.taskDefinitionArn)
  aws ecs update-service --cluster "$ECS_CLUSTER" --service "$ECS_SERVICE" --task-definition "$revision" \
    --output text --query service.serviceArn >/dev/null
  for _ in 1 2 3 4 5 6; do
    deployment=$(ecs_ongoing)
    [[ -z $deployment ]] || break
    sleep "$ecs_poll_s"
  done
  [[ -n $deployment ]] || { echo 'ECS began no deployment' >&2; return 1; }
  ecs_await "$deployment" '.lifecycleStage // "" | test("PRODUCTION_TRAFFIC_SHIFT|BAKE_TIME|CLEAN_UP")'
  echo "$SERVICE_URL"
}

# All of the traffic, while the old tasks still stand by: from here a stop puts them back within seconds.
platform_promote() {
  local image=$1 deployment
  deployment=$(ecs_ongoing)
  if [[ -n $deployment ]]; then
    ecs_await "$deployment" '.status == "SUCCESSFUL" or (.lifecycleStage // "" | test("^(BAKE_TIME|CLEAN_UP)$"))'
  fi
  ecs_runs "$image"
}

platform_settle() {
  local image=$1 deployment
  deployment=$(ecs_ongoing)
  if [[ -n $deployment ]]; then
    ecs_await "$deployment" '.status == "SUCCESSFUL"'
  fi
  ecs_runs "$image"
}

# An alarm or the circuit breaker may have taken it back before we looked.
ecs_runs() {
  local running
  running=$(aws ecs describe-task-definition --task-definition "$(platform_current)" --output text \
    --query "taskDefinition.containerDefinitions[?name=='$ecs_container'].image | [0]")
  [[ ${running##*@} == "${1##*@}" ]] || { echo "ECS took $1 back and runs $running" >&2; return 1; }
}

platform_restore() {
  local revision=$1 deployment
  deployment=$(ecs_ongoing)
  if [[ -n $deployment ]]; then
    # the old tasks still run: this only moves the traffic back
    aws ecs stop-service-deployment --service-deployment-arn "$deployment" --stop-type ROLLBACK --output text >/dev/null
    ecs_await "$deployment" '.status == "ROLLBACK_SUCCESSFUL"' || true
  fi
  if [[ $(platform_current) != "$revision" ]]; then
    aws ecs update-service --cluster "$ECS_CLUSTER" --service "$ECS_SERVICE" --task-definition "$revision" \
      --output text --query service.serviceArn >/dev/null
    # share, then all: `aws ecs wait services-stable` would give up after ten minutes
    for _ in 1 2 3 4 5 6; do
      deployment=$(ecs_ongoing)
      [[ -z $deployment ]] || break
      sleep "$ecs_poll_s"
    done
    [[ -n $deployment ]] || { echo 'ECS began no deployment' >&2; return 1; }
    ecs_await "$deployment" '.status == "SUCCESSFUL" or (.lifecycleStage // "" | test("^(BAKE_TIME|CLEAN_UP)$"))'
  fi
  [[ $(platform_current) == "$revision" ]] || { echo "the service does not run $revision" >&2; return 1; }
}
