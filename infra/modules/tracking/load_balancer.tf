resource "aws_lb" "this" {
  #checkov:skip=CKV2_AWS_20:There is no listener on port 80 to redirect from: what never speaks HTTP leaks no cookie.
  #checkov:skip=CKV2_AWS_28:A web ACL is the environment's choice for an internal load balancer; one that faces the internet is refused without.
  name               = local.id
  load_balancer_type = "application"
  internal           = var.internal
  subnets            = var.load_balancer_subnet_ids
  security_groups    = [aws_security_group.this["load_balancer"].id]

  enable_deletion_protection = var.deletion_protection
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"

  # The server answers an upload only when S3 has all of it, and is silent until then.
  idle_timeout = 300

  access_logs {
    enabled = true
    bucket  = var.access_log_bucket
    prefix  = local.access_log_prefixes.requests
  }

  # Says which certificates were shown, and why one was refused: a handshake that fails is no request.
  connection_logs {
    enabled = true
    bucket  = var.access_log_bucket
    prefix  = local.access_log_prefixes.connections
  }
}

locals {
  access_log_prefixes = {
    artifacts   = "s3/"
    requests    = "load-balancer/${local.id}"
    connections = "load-balancer-connections/${local.id}"
  }
}

resource "aws_lb_target_group" "server" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer, which does not check a target's certificate: another TLS behind it would prove nothing, and the server takes traffic from the load balancer's group alone.
  name                 = local.id
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = local.server_port
  deregistration_delay = 60

  health_check {
    path                = "/health"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count = var.web_acl_arn == null ? 0 : 1

  resource_arn = aws_lb.this.arn
  web_acl_arn  = var.web_acl_arn
}

resource "aws_route53_record" "this" {
  count = var.zone_id == null ? 0 : 1

  zone_id = var.zone_id
  name    = var.host_name
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}
