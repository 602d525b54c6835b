# Where people sign in. What is not for `host_name` reaches neither a sign-in nor the server.
resource "aws_lb_listener" "people" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTPS"
  port              = local.people_port
  certificate_arn   = var.certificate_arn
  ssl_policy        = var.tls_policy

  routing_http_response_server_enabled                         = false
  routing_http_response_strict_transport_security_header_value = "max-age=31536000"
  routing_http_response_x_content_type_options_header_value    = "nosniff"

  # The server shows an artefact's HTML in a frame of its own pages.
  routing_http_response_x_frame_options_header_value = "SAMEORIGIN"

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "Not found"
      status_code  = "404"
    }
  }
}

locals {
  # A script whose session has ended gets a 401. A page is sent to the sign-in: a script would follow to an answer that it
  # cannot read, and a form of another site could start a sign-in.
  people_rules = {
    api   = { priority = 10, paths = ["/api/*", "/ajax-api/*", "/graphql"], unauthenticated = "deny" }
    pages = { priority = 20, paths = ["/*"], unauthenticated = "authenticate" }
  }
}

resource "aws_lb_listener_rule" "people" {
  for_each = local.people_rules

  listener_arn = aws_lb_listener.people.arn
  priority     = each.value.priority

  condition {
    host_header {
      values = [var.host_name]
    }
  }

  condition {
    path_pattern {
      values = each.value.paths
    }
  }

  action {
    type  = "authenticate-cognito"
    order = 1

    authenticate_cognito {
      user_pool_arn              = var.sign_in.user_pool_arn
      user_pool_client_id        = var.sign_in.user_pool_client_id
      user_pool_domain           = var.sign_in.user_pool_domain
      scope                      = "openid"
      session_timeout            = var.sign_in.session_seconds
      on_unauthenticated_request = each.value.unauthenticated
    }
  }

  action {
    type             = "forward"
    order            = 2
    target_group_arn = aws_lb_target_group.server.arn
  }
}
