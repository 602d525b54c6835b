locals {
  # Application Auto Scaling refuses a variant that does not exist, and variants are made by runs: an endpoint is
  # registered with the second apply, when its first deployment is through.
  scaled = { for name, endpoint in var.endpoints : name => endpoint.autoscaling if try(endpoint.autoscaling.registered, false) }
}

resource "aws_appautoscaling_target" "variant" {
  for_each = local.scaled

  service_namespace  = "sagemaker"
  resource_id        = "endpoint/${each.key}/variant/${var.variant_name}"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  min_capacity       = each.value.min_capacity
  max_capacity       = each.value.max_capacity
}

resource "aws_appautoscaling_policy" "variant" {
  for_each = local.scaled

  name               = "${var.name}-${each.key}-invocations"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.variant[each.key].service_namespace
  resource_id        = aws_appautoscaling_target.variant[each.key].resource_id
  scalable_dimension = aws_appautoscaling_target.variant[each.key].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.invocations_per_instance
    scale_in_cooldown  = each.value.scale_in_cooldown
    scale_out_cooldown = each.value.scale_out_cooldown

    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantInvocationsPerInstance"
    }
  }
}
