# Looks for attacks in the events of the account, its DNS and its flows. Findings of high severity are mailed.
resource "aws_guardduty_detector" "this" {
  #checkov:skip=CKV2_AWS_3:one region is used; others are closed by the organisation
  count = var.guardduty ? 1 : 0

  enable                       = true
  finding_publishing_frequency = "FIFTEEN_MINUTES"
}

resource "aws_cloudwatch_event_rule" "findings" {
  count = var.guardduty ? 1 : 0

  name        = "${var.name}-findings"
  description = "Findings of GuardDuty that somebody must look at"

  event_pattern = jsonencode({
    source      = ["aws.guardduty"]
    detail-type = ["GuardDuty Finding"]
    detail      = { severity = [{ numeric = [">=", 7] }] }
  })
}

resource "aws_cloudwatch_event_target" "findings" {
  count = var.guardduty ? 1 : 0

  rule = aws_cloudwatch_event_rule.findings[0].name
  arn  = aws_sns_topic.this[0].arn
}
