data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  count = var.zones == null ? 1 : 0

  state = "available"
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name
  dns_suffix = data.aws_partition.current.dns_suffix

  # Sorted, so that the answer's order moves no subnet from one zone to another.
  zones = var.zones == null ? slice(sort(data.aws_availability_zones.available[0].names), 0, 2) : var.zones

  # The address space in eighths: one for each zone, some to spare, and the last one for what reaches the internet.
  # Those subnets hold a handful of addresses and are a 16th of that eighth each.
  private_cidrs = { for index, zone in local.zones : zone => cidrsubnet(var.cidr, 3, index) }
  egress_cidrs = {
    for offset, tier in ["downloads", "firewall", "nat"] : tier => {
      for index, zone in local.zones : zone => cidrsubnet(cidrsubnet(var.cidr, 3, 7), 4, offset * 4 + index)
    }
  }

  inspected = var.hub_egress == "inspected"
}
