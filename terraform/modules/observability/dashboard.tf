locals {
  region = data.aws_region.current.region

  charts_of_ecs = !local.on_ecs ? [] : [
    { title = "Requests and errors", stat = "Sum", metrics = [
      ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", var.ecs.load_balancer_suffix],
      ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", var.ecs.load_balancer_suffix],
      ["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "LoadBalancer", var.ecs.load_balancer_suffix],
    ] },
    { title = "Latency, 99th percentile (s)", stat = "p99", metrics = [
      ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.ecs.load_balancer_suffix],
    ] },
    { title = "Service (%)", stat = "Average", metrics = [
      ["AWS/ECS", "CPUUtilization", "ClusterName", var.ecs.cluster, "ServiceName", var.ecs.service],
      ["AWS/ECS", "MemoryUtilization", "ClusterName", var.ecs.cluster, "ServiceName", var.ecs.service],
    ] },
    { title = "Tasks", stat = "Average", metrics = [
      ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.ecs.cluster, "ServiceName", var.ecs.service],
      ["ECS/ContainerInsights", "DesiredTaskCount", "ClusterName", var.ecs.cluster, "ServiceName", var.ecs.service],
    ] },
  ]

  charts = concat(local.charts_of_ecs, [
    { title = "Database CPU (%) and connections", stat = "Average", metrics = [
      ["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", var.database_identifier],
      ["AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", var.database_identifier],
    ] },
    { title = "Database: free storage (bytes)", stat = "Minimum", metrics = [
      ["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", var.database_identifier],
    ] },
  ])
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      for place, chart in local.charts : {
        type   = "metric"
        x      = (place % 2) * 12
        y      = floor(place / 2) * 6
        width  = 12
        height = 6
        properties = {
          title   = chart.title
          region  = local.region
          stat    = chart.stat
          period  = 60
          metrics = chart.metrics
        }
      }
    ]
  })
}
