{{/*
The annotations of each provider, by its own documentation:
  tke        Tencent Kubernetes Engine, "Service Annotation"
  aws        AWS Load Balancer Controller, "Network Load Balancer: annotations"
  gke        Google Kubernetes Engine, "LoadBalancer Service parameters"
  aks        cloud-provider-azure, "LoadBalancer annotations"
  ack        Alibaba Cloud Container Service, "Use annotations to configure CLB instances"
  cce        Huawei Cloud Container Engine, "Configuring LoadBalancer Services using annotations"
  openstack  cloud-provider-openstack, "Expose applications using services of LoadBalancer type"
  oci        Oracle Kubernetes Engine, "Summary of annotations for load balancers"
  metallb    MetalLB, "Usage"
*/}}
{{- define "mynah-test-entrance.annotations" -}}
{{- $all := dict -}}
{{- $subnet := .Values.subnet -}}
{{- $address := .Values.address -}}
{{- $provider := .Values.provider -}}
{{- if eq $provider "tke" -}}
  {{- $_ := set $all "service.kubernetes.io/qcloud-loadbalancer-internal-subnetid" (required "mynah-test-entrance: provider 'tke' needs 'subnet'" $subnet) -}}
  {{- if $address }}{{ $_ := set $all "service.kubernetes.io/service.extensiveParameters" (dict "Vip" $address | toJson) }}{{ end -}}
{{- else if eq $provider "aws" -}}
  {{- $prefix := "service.beta.kubernetes.io/aws-load-balancer-" -}}
  {{- $_ := set $all (print $prefix "type") "external" -}}
  {{- $_ := set $all (print $prefix "scheme") "internal" -}}
  {{- $_ := set $all (print $prefix "nlb-target-type") "ip" -}}
  {{- if $subnet }}{{ $_ := set $all (print $prefix "subnets") $subnet }}{{ end -}}
  {{- if $address -}}
    {{- $_ := required "mynah-test-entrance: provider 'aws' needs 'subnet' for a fixed 'address'" $subnet -}}
    {{- $_ := set $all (print $prefix "private-ipv4-addresses") $address -}}
  {{- end -}}
{{- else if eq $provider "gke" -}}
  {{- $_ := set $all "networking.gke.io/load-balancer-type" "Internal" -}}
  {{- if $subnet }}{{ $_ := set $all "networking.gke.io/internal-load-balancer-subnet" $subnet }}{{ end -}}
{{- else if eq $provider "aks" -}}
  {{- $prefix := "service.beta.kubernetes.io/azure-load-balancer-" -}}
  {{- $_ := set $all (print $prefix "internal") "true" -}}
  {{- if $subnet }}{{ $_ := set $all (print $prefix "internal-subnet") $subnet }}{{ end -}}
  {{- if $address }}{{ $_ := set $all (print $prefix "ipv4") $address }}{{ end -}}
{{- else if eq $provider "ack" -}}
  {{- $prefix := "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-" -}}
  {{- $_ := set $all (print $prefix "address-type") "intranet" -}}
  {{- if $subnet }}{{ $_ := set $all (print $prefix "vswitch-id") $subnet }}{{ end -}}
  {{- if $address -}}
    {{- $_ := required "mynah-test-entrance: provider 'ack' needs 'subnet' for a fixed 'address'" $subnet -}}
    {{- $_ := set $all (print $prefix "ip") $address -}}
  {{- end -}}
{{- else if eq $provider "cce" -}}
  {{- if not .Values.availabilityZones }}{{ fail "mynah-test-entrance: provider 'cce' needs 'availabilityZones'" }}{{ end -}}
  {{- $balancer := dict "type" "inner" "available_zone" .Values.availabilityZones "l4_flavor_name" .Values.flavor -}}
  {{- if $subnet }}{{ $_ := set $balancer "vip_subnet_cidr_id" $subnet }}{{ end -}}
  {{- if $address }}{{ $_ := set $balancer "vip_address" $address }}{{ end -}}
  {{- $_ := set $all "kubernetes.io/elb.class" "performance" -}}
  {{- $_ := set $all "kubernetes.io/elb.autocreate" (toJson $balancer) -}}
{{- else if eq $provider "openstack" -}}
  {{- $_ := set $all "service.beta.kubernetes.io/openstack-internal-load-balancer" "true" -}}
  {{- if $subnet }}{{ $_ := set $all "loadbalancer.openstack.org/subnet-id" $subnet }}{{ end -}}
{{- else if eq $provider "oci" -}}
  {{- $_ := set $all "oci.oraclecloud.com/load-balancer-type" "lb" -}}
  {{- $_ := set $all "service.beta.kubernetes.io/oci-load-balancer-internal" "true" -}}
  {{- if $subnet }}{{ $_ := set $all "service.beta.kubernetes.io/oci-load-balancer-subnet1" $subnet }}{{ end -}}
  {{- if $address }}{{ $_ := set $all "oci.oraclecloud.com/reserved-private-ips" $address }}{{ end -}}
{{- else if eq $provider "metallb" -}}
  {{- if $subnet }}{{ $_ := set $all "metallb.io/address-pool" $subnet }}{{ end -}}
  {{- if $address }}{{ $_ := set $all "metallb.io/loadBalancerIPs" $address }}{{ end -}}
{{- end -}}
{{- with mergeOverwrite $all (deepCopy (.Values.annotations | default dict)) }}{{ toYaml . }}{{ end -}}
{{- end }}
